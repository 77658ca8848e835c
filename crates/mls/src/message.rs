//! Messages: sealed to all who are in the present epoch, opened once.

use mainframe_base::Fault;
use openmls::prelude::{ContentType, MlsMessageBodyIn, ProcessedMessageContent, ProtocolMessage, Sender};
use rand_core::CryptoRng;

use crate::key_package::read_message;
use crate::provider::Provider;
use crate::{Group, Leaf, Unopened, must};

/// A message that was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Who wrote it: the leaf as it was in that epoch.
    pub author: Leaf,
    /// The number of the epoch it was written in.
    pub epoch: u64,
    /// What was sealed.
    pub plaintext: Vec<u8>,
}

/// Why nothing can be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unsealed {
    /// We are no longer in the group.
    #[error("we are no longer in the group")]
    Left,
    /// The group was set back to this epoch: what it would seal with may have been used already. It can seal again in
    /// the next epoch.
    #[error("the group was set back, and waits for a commit")]
    SetBack,
}

impl Group {
    /// Seals a message to all who are in the present epoch. About 150 bytes longer than the plaintext. What the
    /// message's key follows from must be [stored](Group::take_changes) before the message is sent.
    ///
    /// # Errors
    ///
    /// [`Unsealed`].
    pub fn seal(&mut self, rng: &mut impl CryptoRng, plaintext: &[u8]) -> Result<Vec<u8>, Unsealed> {
        if !self.is_member() {
            return Err(Unsealed::Left);
        }
        if self.set_back_to == Some(self.epoch()) {
            return Err(Unsealed::SetBack);
        }
        let provider = Provider::drawing(&mut self.vault, rng);
        let message = must(self.mls.create_message(&provider, &self.device, plaintext), "a member can seal");
        Ok(must(message.to_bytes(), "a message can be written"))
    }

    /// Opens a message of the present or a past epoch, once.
    ///
    /// # Errors
    ///
    /// [`Unopened`]; the message may be tried again.
    pub fn open(&mut self, bytes: &[u8]) -> Result<Opened, Unopened> {
        let message = self.read_sealed(bytes)?;
        let provider = Provider::still(&mut self.vault);
        let processed = self.mls.process_message(&provider, message)?;
        let epoch = processed.epoch().as_u64();
        let sender = processed.sender().clone();
        let content = processed.into_content();
        if let ProcessedMessageContent::OwnPrivateMessage = content {
            return Err(Unopened::Own);
        }
        let (Sender::Member(author), ProcessedMessageContent::ApplicationMessage(message)) = (sender, content) else {
            return Err(Fault::Impossible.into());
        };
        Ok(Opened { author: Leaf(author.u32()), epoch, plaintext: message.into_bytes() })
    }

    fn read_sealed(&self, bytes: &[u8]) -> Result<ProtocolMessage, Unopened> {
        let MlsMessageBodyIn::PrivateMessage(message) = read_message(bytes)? else {
            return Err(Fault::Impossible.into());
        };
        if message.content_type() != ContentType::Application || message.group_id() != self.mls.group_id() {
            return Err(Fault::Impossible.into());
        }
        if message.epoch() > self.mls.epoch() {
            return Err(Unopened::Early);
        }
        Ok(message.into())
    }
}
