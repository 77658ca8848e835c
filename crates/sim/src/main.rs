//! The simulator.
use mainframe_sim::{net::NetConfig, population::*};
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let seed = 7;
    let t = std::time::Instant::now();
    let mut p = Population::new(PopulationConfig { net: NetConfig::default(), relay: Default::default(), seed, nudge: None });
    let mut k = 0;
    let g = Growth::of(n);
    let c = g.run(&mut p, |p| {
        k += 1;
        if k % 20 == 0 { eprintln!("{} wall {:?} online {} nn {:.4} waiting {} counts {:?}", p.world().now(), t.elapsed(), p.online().len(), p.completeness(), p.world().waiting(), p.world().counts()); }
    });
    println!("{c} {} {:?} {:?}", p.world().now(), p.world_mut().trace_hash(), t.elapsed());
    println!("{:?}", p.counters());
}
