//! The event stream as the client reads it: server-sent events over one long answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};

use crate::{Error, Event};

/// Bytes of one event: a session's longest message, 96 KiB, in JSON escapes, six for one, with room.
const EVENT_LENGTH_MAX: usize = 640 * 1_024;

type Bytes = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Error>> + Send>>;

/// Events as they come. Ends after the first error; go on with `after` = the last message's sequence.
pub struct EventStream {
    url: String,
    bytes: Bytes,
    pending: Vec<u8>,
    ended: bool,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventStream({})", self.url)
    }
}

impl EventStream {
    pub(crate) fn new(url: String, response: reqwest::Response) -> EventStream {
        let at = url.clone();
        let bytes = response.bytes_stream().map(move |chunk| match chunk {
            Ok(chunk) => Ok(chunk.to_vec()),
            Err(error) => Err(Error::Transport { url: at.clone(), why: error.to_string() }),
        });
        EventStream { url, bytes: Box::pin(bytes), pending: Vec::new(), ended: false }
    }

    /// Takes one whole event off the front of what has come, if there is one; comments are skipped.
    fn next_whole(&mut self) -> Option<Result<Event, Error>> {
        loop {
            let end = self.pending.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.pending.drain(..end + 2).collect();
            let Some(data) = data_of(&block) else { continue };
            let event = serde_json::from_str(&data);
            return Some(event.map_err(|error| Error::Protocol { url: self.url.clone(), why: error.to_string() }));
        }
    }
}

/// The `data:` lines of a block, joined as the standard says.
fn data_of(block: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(block);
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(event) = self.next_whole() {
                self.ended = event.is_err();
                return Poll::Ready(Some(event));
            }
            if self.pending.len() > EVENT_LENGTH_MAX {
                self.ended = true;
                let why = "an event without end".to_owned();
                return Poll::Ready(Some(Err(Error::Protocol { url: self.url.clone(), why })));
            }
            match futures::ready!(self.bytes.as_mut().poll_next(context)) {
                Some(Ok(chunk)) => self.pending.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: Vec<&'static [u8]>) -> EventStream {
        let bytes = futures::stream::iter(chunks.into_iter().map(|chunk| Ok(chunk.to_vec())));
        EventStream { url: "test".into(), bytes: Box::pin(bytes), pending: Vec::new(), ended: false }
    }

    async fn read(chunks: Vec<&'static [u8]>) -> Vec<Result<Event, Error>> {
        stream(chunks).collect().await
    }

    #[tokio::test]
    async fn events_are_read_however_the_bytes_are_cut() {
        let events = read(vec![
            b": keep-alive\n\nid: 3\nda",
            b"ta: {\"type\":\"joined\",\"depth\":2}\n",
            b"\ndata:{\"type\":\"missed\",\"events\":1}\n\n",
        ])
        .await;
        let events: Vec<Event> = events.into_iter().map(Result::unwrap).collect();
        assert_eq!(events, [Event::Joined { depth: 2 }, Event::Missed { events: 1 }]);
    }

    #[tokio::test]
    async fn nonsense_ends_the_stream_with_an_error() {
        let events = read(vec![b"data: {}\n\ndata: {\"type\":\"missed\",\"events\":1}\n\n"]).await;
        assert!(matches!(events[..], [Err(Error::Protocol { .. })]));
    }
}
