//! The closed loop: so many workers, each with a connection of its own, each sending its next request when the last is answered.
//!
//! The window of a measurement starts after the warm-up. Only what was answered inside the window counts, and the processor time
//! of the server is read at its two ends.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// How a worker is at work: it does one unit, and says whether there will be another.
pub trait Worker: 'static {
    /// `Ok(false)` when there is nothing left to do; that step is not counted.
    async fn step(&mut self) -> Result<bool, String>;
}

/// What a window saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// How long each unit took, in nanoseconds, in no order.
    pub nanoseconds: Vec<u64>,
    /// The length of the window.
    pub seconds: f64,
    /// Processor time that the server used in the window.
    pub cpu_seconds: f64,
}

impl Measured {
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    pub fn per_second(&self) -> f64 {
        ratio(self.count(), self.seconds)
    }

    /// Units in a second of the server's processor time: what a core can do.
    pub fn per_cpu_second(&self) -> f64 {
        ratio(self.count(), self.cpu_seconds)
    }

    /// Adds another window of the same kind.
    pub fn add(&mut self, other: Self) {
        self.nanoseconds.extend(other.nanoseconds);
        self.seconds += other.seconds;
        self.cpu_seconds += other.cpu_seconds;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(count: usize, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Window,
    Over,
}

/// Drives all workers until the window is over or none has anything left. The first error ends it.
pub async fn drive<W: Worker>(
    workers: Vec<W>,
    warm_up: Duration,
    window: Duration,
    pid: u32,
) -> Result<(Measured, Vec<W>), String> {
    let phase = Rc::new(Cell::new(if warm_up.is_zero() {
        Phase::Window
    } else {
        Phase::WarmUp
    }));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut tasks = JoinSet::new();
            let mut cpu = cpu_seconds(pid)?;
            let mut start = Instant::now();
            for worker in workers {
                tasks.spawn_local(work(worker, Rc::clone(&phase)));
            }
            if !warm_up.is_zero() {
                tokio::time::sleep(warm_up).await;
                cpu = cpu_seconds(pid)?;
                start = Instant::now();
                phase.set(Phase::Window);
            }
            let mut measured = Measured::default();
            let mut end = None;
            let over = tokio::time::sleep(window);
            tokio::pin!(over);
            let mut done = Vec::new();
            loop {
                tokio::select! {
                    () = &mut over, if end.is_none() => {
                        phase.set(Phase::Over);
                        end = Some((Instant::now(), cpu_seconds(pid)?));
                    }
                    joined = tasks.join_next() => match joined {
                        Some(joined) => {
                            let (worker, took) = joined.map_err(|error| error.to_string())??;
                            measured.nanoseconds.extend(took);
                            done.push(worker);
                        }
                        None => break,
                    }
                }
            }
            let (until, cpu_until) = match end {
                Some(end) => end,
                None => (Instant::now(), cpu_seconds(pid)?),
            };
            measured.seconds = until.duration_since(start).as_secs_f64();
            measured.cpu_seconds = cpu_until - cpu;
            Ok((measured, done))
        })
        .await
}

async fn work<W: Worker>(mut worker: W, phase: Rc<Cell<Phase>>) -> Result<(W, Vec<u64>), String> {
    let mut took = Vec::new();
    loop {
        let before = phase.get();
        if before == Phase::Over {
            return Ok((worker, took));
        }
        let start = Instant::now();
        if !worker.step().await? {
            return Ok((worker, took));
        }
        if phase.get() == Phase::Window {
            took.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// Processor time that a process has used, its threads included. The kernel counts in hundredths of a second.
pub fn cpu_seconds(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    ticks(&text)
        .map(|ticks| f64::from(ticks) / 100.0)
        .ok_or_else(|| format!("{path} is not understood"))
}

/// `utime` and `stime`: the twelfth and thirteenth word after the name, which stands in brackets and may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let user: u32 = words.next()?.parse().ok()?;
    let system: u32 = words.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u32>()
                .ok()
        })
        .map(|kib| f64::from(kib) / 1024.0)
        .ok_or_else(|| format!("{path} names no VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ticks_of_a_process_are_found_behind_its_name() {
        let stat = "42 (odd ) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 9 1 2";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 name"), None);
        assert!(cpu_seconds(std::process::id()).is_ok());
        assert!(resident_mib(std::process::id()).unwrap() > 0.1);
    }

    #[test]
    fn windows_add_up() {
        let mut one = Measured {
            nanoseconds: vec![1, 2],
            seconds: 1.0,
            cpu_seconds: 0.5,
        };
        one.add(Measured {
            nanoseconds: vec![3],
            seconds: 0.5,
            cpu_seconds: 0.25,
        });
        assert_eq!(one.count(), 3);
        assert!((one.per_second() - 2.0).abs() < 1e-9);
        assert!((one.per_cpu_second() - 4.0).abs() < 1e-9);
        assert!(Measured::default().per_second().abs() < 1e-9);
    }
}
