//! A dumb relay: starts a program and hands bytes on both ways, looking at none. What any process in between costs.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::Outcome;

pub(crate) fn run(program: &str, args: &[&str]) -> Outcome {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let to = child.stdin.take().ok_or("no pipe to the program")?;
    let from = child.stdout.take().ok_or("no pipe from the program")?;
    // Its input ends with ours, and then it does.
    std::thread::spawn(move || hand_on(std::io::stdin().lock(), to));
    hand_on(from, std::io::stdout().lock())?;
    child.wait()?;
    Ok(())
}

fn hand_on(mut from: impl Read, mut to: impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        let Some(bytes @ [_, ..]) = buffer.get(..count) else {
            return Ok(());
        };
        to.write_all(bytes)?;
        to.flush()?;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_arrive_as_they_are() {
        let text = "x".repeat(200_000);
        let mut out = Vec::new();
        super::hand_on(text.as_bytes(), &mut out).unwrap();
        assert_eq!(out, text.as_bytes());
    }
}
