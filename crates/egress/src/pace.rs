//! How often something may happen in a second.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Lets so many through each second, and as many at once after a rest; the rest waits. Whoever drives it
/// faster meets a full queue of the kernel's, not more work for the host.
#[derive(Debug)]
pub(crate) struct Pace {
    each: Duration,
    rest: Duration,
    /// When the next one is due, were they evenly spread.
    due: Instant,
}

impl Pace {
    pub(crate) fn per_second(most: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / most.max(1),
            rest: Duration::from_secs(1),
            due: Instant::now(),
        }
    }

    /// Waits until one more is allowed.
    pub(crate) async fn wait(&mut self) {
        let now = Instant::now();
        let ahead = self.due.saturating_duration_since(now);
        if ahead > self.rest {
            sleep(ahead - self.rest).await;
        }
        self.due = self.due.max(now) + self.each;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_than_a_second_s_worth_waits() {
        let start = Instant::now();
        let mut pace = Pace::per_second(10_000);
        for _ in 0..15_000 {
            pace.wait().await;
        }
        // Never faster, however slow the machine is.
        assert!(start.elapsed() >= Duration::from_millis(490));
    }
}
