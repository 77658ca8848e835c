//! What openmls is given for the time of one call.

use openmls_traits::OpenMlsProvider;
use rand_core::CryptoRng;

use crate::crypto::Crypto;
use crate::dice::Dice;
use crate::storage::Storage;
use crate::vault::Vault;

/// Storage, primitives and randomness of one call.
pub(crate) struct Provider<'a> {
    storage: Storage<'a>,
    crypto: Crypto,
    dice: Dice,
}

impl<'a> Provider<'a> {
    /// For a call that draws randomness.
    pub(crate) fn drawing(vault: &'a mut Vault, rng: &mut impl CryptoRng) -> Self {
        let (dice, seals) = Dice::draw(rng);
        Provider { storage: Storage::new(vault, false), crypto: Crypto::new(Some(seals)), dice }
    }

    /// For a call that draws none.
    pub(crate) fn still(vault: &'a mut Vault) -> Self {
        Provider { storage: Storage::new(vault, false), crypto: Crypto::new(None), dice: Dice::none() }
    }

    /// For the call in which the messages' secrets are written.
    pub(crate) fn writing_secrets(vault: &'a mut Vault) -> Self {
        Provider { storage: Storage::new(vault, true), crypto: Crypto::new(None), dice: Dice::none() }
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = Crypto;
    type RandProvider = Dice;
    type StorageProvider = Storage<'a>;

    fn storage(&self) -> &Storage<'a> {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Dice {
        &self.dice
    }
}
