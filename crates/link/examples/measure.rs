//! Measures a link and its yardstick on loopback: `cargo run --release --example measure -- 5`.

use std::time::Duration;

use mainframe_base::{Locator, Transport};
use mainframe_link::baseline::{self, Until};
use mainframe_link::soak::{Load, soak};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(3), |text| text.parse())?;
    let duration = Duration::from_secs(seconds);
    for transport in [Transport::Tcp, Transport::Quic] {
        for load in [Load::OneWay, Load::BothWays] {
            for carried in soak(transport, load, duration).await? {
                println!("link {transport:?} {load:?}: {:.0} cells/s, {carried:?}", carried.rate());
            }
        }
        for write_bytes in [2_048, 65_536] {
            let rate = yardstick(transport, write_bytes, duration).await?;
            println!("yardstick {transport:?}, through a relay, writes of {write_bytes}: {rate:.0} messages/s");
        }
    }
    Ok(())
}

/// All three roles in this process: a first impression, not the measurement between processes.
async fn yardstick(
    transport: Transport,
    write_bytes: usize,
    duration: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let anywhere = Locator::direct(transport, std::net::Ipv4Addr::LOCALHOST.into(), 0);
    let (sink_bound, sink_at) = tokio::sync::oneshot::channel();
    let (relay_bound, relay_at) = tokio::sync::oneshot::channel();
    let sink = tokio::spawn(baseline::sink(anywhere, move |at| sink_bound.send(at).expect("we wait for it")));
    let sink_at = sink_at.await?;
    let relay = tokio::spawn(baseline::relay(anywhere, sink_at, write_bytes, move |at| {
        relay_bound.send(at).expect("we wait for it")
    }));
    baseline::sender(relay_at.await?, 2_048, write_bytes, Until::Elapsed(duration)).await?;
    relay.await??;
    Ok(sink.await??.messages_per_second(2_048))
}
