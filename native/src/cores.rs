//! What is asked of the system: on which core a thread runs.

/// Where a second thread runs. Linux wakes it on the core of the one that starts it, and on small machines that are a
/// little busy it does not look for an idle one: both would share a core for as long as such work takes.
#[derive(Clone, Copy)]
pub(crate) struct Core(#[cfg_attr(not(target_os = "linux"), allow(dead_code))] Option<usize>);

/// The cores that a thread may run on, as `cpu_set_t` has them.
#[cfg(target_os = "linux")]
type Cores = [u64; 16];

#[cfg(target_os = "linux")]
unsafe extern "C" {
    safe fn sched_getcpu() -> i32;
    fn sched_getaffinity(thread: i32, length: usize, cores: *mut Cores) -> i32;
    fn sched_setaffinity(thread: i32, length: usize, cores: *const Cores) -> i32;
}

impl Core {
    /// The one that this thread runs on.
    pub(crate) fn current() -> Self {
        #[cfg(target_os = "linux")]
        return Core(usize::try_from(sched_getcpu()).ok());
        #[cfg(not(target_os = "linux"))]
        Core(None)
    }

    /// Move this thread to another core than that one, if there is any, and let it go wherever the system wants then.
    pub(crate) fn leave(self) {
        #[cfg(target_os = "linux")]
        if let Some(taken) = self.0 {
            let mut allowed: Cores = [0; 16];
            let length = size_of::<Cores>();
            // SAFETY: 0 is this thread, and the sets are as long as it is said.
            unsafe {
                if sched_getaffinity(0, length, &mut allowed) < 0 {
                    return;
                }
                let mut others = allowed;
                if let Some(word) = others.get_mut(taken / 64) {
                    *word &= !(1 << (taken % 64));
                }
                if others != [0; 16] && sched_setaffinity(0, length, &others) == 0 {
                    sched_setaffinity(0, length, &allowed);
                }
            }
        }
    }
}
