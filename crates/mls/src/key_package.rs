//! Key packages: what a device hands out so that others can add it to a group.

use std::fmt;

use mainframe_base::Fault;
use openmls::prelude::{
    BasicCredential, KeyPackage as MlsKeyPackage, KeyPackageIn, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    ProtocolVersion, Welcome,
};
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRng;
use tls_codec::{Deserialize as _, Serialize as _};

use crate::change::Newcomer;
use crate::crypto::{Crypto, is_sealable};
use crate::device::DeviceSecret;
use crate::provider::Provider;
use crate::suite::{CIPHERSUITE, KEY_PACKAGE_BYTES_MAX, always, capabilities, credential_of, is_always};
use crate::vault::{Rows, Vault};

/// The name of a key package: the hash by which a Welcome says whom it is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPackageId(pub [u8; 32]);

impl fmt::Debug for KeyPackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// A key package with its secrets. It is for one Welcome: who has joined with it deletes the secrets.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct KeyPackage {
    /// By which a Welcome names it.
    pub id: KeyPackageId,
    /// To be handed out.
    pub bytes: Vec<u8>,
    /// To be kept until a Welcome comes, or the card that promised the package has expired.
    pub secrets: Rows,
}

impl KeyPackage {
    /// Makes a key package of a device. The credential is the core's: the device's certificate.
    ///
    /// # Panics
    ///
    /// If the credential is so long that the package exceeds [`KEY_PACKAGE_BYTES_MAX`].
    pub fn generate(rng: &mut impl CryptoRng, device: &DeviceSecret, credential: &[u8]) -> Self {
        let mut vault = Vault::new();
        let provider = Provider::drawing(&mut vault, rng);
        let bundle = MlsKeyPackage::builder()
            .key_package_lifetime(always())
            .leaf_node_capabilities(capabilities())
            .build(CIPHERSUITE, &provider, device, credential_of(device, credential))
            .expect("a key package of our own suite can be made");
        let package = bundle.key_package().clone();
        let id = id_of(&package, provider.crypto());
        let bytes = MlsMessageOut::from(package).to_bytes().expect("a key package can be written");
        assert!(bytes.len() <= KEY_PACKAGE_BYTES_MAX, "the credential is too long");
        KeyPackage { id, bytes, secrets: vault.rows().clone() }
    }
}

/// Whom a Welcome is for.
///
/// # Errors
///
/// A fault, if it is no Welcome.
pub fn invited(welcome: &[u8]) -> Result<Vec<KeyPackageId>, Fault> {
    let ids = read_welcome(welcome)?.secrets().iter().map(|secret| id_from(secret.new_member().as_slice())).collect();
    Ok(ids)
}

/// The name of a key package somebody offers, and who would come in by it.
///
/// # Errors
///
/// A fault, if it is no key package with which anyone can come in.
pub fn offered(package: &[u8]) -> Result<(KeyPackageId, Newcomer), Fault> {
    let package = read_key_package(package)?;
    Ok((id_of(&package, &Crypto::new(None)), newcomer_of(&package)?))
}

pub(crate) fn read_welcome(bytes: &[u8]) -> Result<Welcome, Fault> {
    let MlsMessageBodyIn::Welcome(welcome) = read_message(bytes)? else { return Err(Fault::Impossible) };
    Ok(welcome)
}

pub(crate) fn read_message(bytes: &[u8]) -> Result<MlsMessageBodyIn, Fault> {
    MlsMessageIn::tls_deserialize_exact(bytes).map(MlsMessageIn::extract).map_err(|_| Fault::Malformed)
}

/// Reads and checks a key package that someone else has made.
pub(crate) fn read_key_package(bytes: &[u8]) -> Result<MlsKeyPackage, Fault> {
    let MlsMessageBodyIn::KeyPackage(package) = read_message(bytes)? else { return Err(Fault::Impossible) };
    validated(package)
}

fn validated(package: KeyPackageIn) -> Result<MlsKeyPackage, Fault> {
    let package = package.validate(&Crypto::new(None), ProtocolVersion::Mls10).map_err(|_| Fault::Impossible)?;
    newcomer_of(&package)?;
    Ok(package)
}

/// Who would come in by this key package; a fault, if no group of ours can have such a member.
pub(crate) fn newcomer_of(package: &MlsKeyPackage) -> Result<Newcomer, Fault> {
    let leaf = package.leaf_node();
    let sealable = is_sealable(package.hpke_init_key()) && is_sealable(leaf.encryption_key());
    if package.ciphersuite() != CIPHERSUITE || !is_always(package.life_time()) || !sealable {
        return Err(Fault::Impossible);
    }
    let length = package.tls_serialize_detached().map_err(|_| Fault::Malformed)?.len();
    if length > KEY_PACKAGE_BYTES_MAX {
        return Err(Fault::Oversized);
    }
    let credential = BasicCredential::try_from(leaf.credential().clone()).map_err(|_| Fault::Impossible)?;
    let key = leaf.signature_key().as_slice().try_into().map_err(|_| Fault::Impossible)?;
    Ok(Newcomer { credential: credential.identity().to_vec(), key: mainframe_base::DeviceKey(key) })
}

fn id_of(package: &MlsKeyPackage, crypto: &Crypto) -> KeyPackageId {
    id_from(package.hash_ref(crypto).expect("a key package has a hash").as_slice())
}

/// A name of another length than ours is no package of ours: all zeros, which none has.
pub(crate) fn id_from(hash: &[u8]) -> KeyPackageId {
    KeyPackageId(hash.try_into().unwrap_or([0; 32]))
}
