//! What the ledger promises, sentence by sentence (`sentences`), and in a world where everything goes wrong (`storms`).

mod room;
mod sentences;
mod speed;
mod storms;
