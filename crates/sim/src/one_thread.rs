//! A world keeps to one thread, and so do the libraries under it.

/// A main thread's stack, in bytes: worlds were played on it.
const STACK_BYTES: usize = 8 << 20;

/// Does work in a thread of its own, and there too what a library would spread over all processors. MLS spreads the key
/// pairs of every path: over groups of eight it is waited for longer than worked on, and where several worlds fill the machine
/// nobody is free to help (measured: a twelfth of all time in `group-commits`).
pub(crate) fn in_one_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(STACK_BYTES).build();
    pool.expect("the system has room for a thread").install(work)
}
