//! Waiting for one's turn: a thread that waits for a flush is woken alone, and needs no lock to hear that it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Thread;

/// What a thread that waits for a flush is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Word {
    Wait,
    Durable,
    Flush,
    Stopped,
}

/// A thread that waits.
pub(crate) struct Turn {
    thread: Thread,
    word: AtomicU8,
}

impl Turn {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: std::thread::current(),
            word: AtomicU8::new(Word::Wait as u8),
        })
    }

    pub(crate) fn tell(&self, word: Word) {
        self.word.store(word as u8, Ordering::Release);
        self.thread.unpark();
    }

    pub(crate) fn wait(&self) -> Word {
        loop {
            let word = self.word.load(Ordering::Acquire);
            for told in [Word::Durable, Word::Flush, Word::Stopped] {
                if word == told as u8 {
                    return told;
                }
            }
            std::thread::park();
        }
    }
}
