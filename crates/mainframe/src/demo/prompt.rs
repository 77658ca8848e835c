//! Lines typed at a prompt, or piped in.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::output::Output;

/// How long a first line is waited for where nobody can type: a pipe that stays open must not keep the demo waiting.
const PIPE_PATIENCE: Duration = Duration::from_secs(10);

/// What came.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// A line with something in it.
    Typed(String),
    /// The end of the input, or nothing for too long.
    Nothing,
}

/// Standard input, read on a thread of its own: reads cannot be interrupted, and the process ends without it.
#[derive(Debug)]
pub(crate) struct Prompt {
    lines: mpsc::Receiver<String>,
    terminal: bool,
    ended: bool,
}

impl Prompt {
    /// Starts to read.
    pub(crate) fn new(_output: &Output) -> Prompt {
        let (sender, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Prompt { lines, terminal: std::io::stdin().is_terminal(), ended: false }
    }

    /// The first line.
    ///
    /// # Errors
    /// If the prompt cannot be written.
    pub(crate) async fn first(&mut self, output: &Output) -> anyhow::Result<Line> {
        if self.terminal {
            return self.next(output).await;
        }
        match tokio::time::timeout(PIPE_PATIENCE, self.next(output)).await {
            Ok(line) => line,
            Err(_) => Ok(Line::Nothing),
        }
    }

    /// The next line; empty ones are passed over. After the end of the input, nothing.
    ///
    /// # Errors
    /// If the prompt cannot be written.
    pub(crate) async fn next(&mut self, output: &Output) -> anyhow::Result<Line> {
        while !self.ended {
            self.show(output)?;
            match self.lines.recv().await {
                Some(text) if text.trim().is_empty() => {}
                Some(text) => {
                    if !self.terminal {
                        output.say(&text)?;
                    }
                    return Ok(Line::Typed(text));
                }
                None => {
                    self.ended = true;
                    output.say("")?;
                }
            }
        }
        Ok(Line::Nothing)
    }

    fn show(&self, output: &Output) -> anyhow::Result<()> {
        if output.json {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        write!(out, "{} ", output.bold("Alice to Bob ›"))?;
        Ok(out.flush()?)
    }
}
