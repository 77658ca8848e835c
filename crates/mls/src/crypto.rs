//! The suite's primitives, for openmls: one suite, and nothing beside it.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, KeyInit};
use ed25519_dalek::{Signature, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig,
    HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use sha2::{Digest, Sha256};
use shake::{ExtendableOutput, Shake256, Update as _, XofReader};
use tls_codec::{Deserialize as _, SecretVLBytes, VLBytes};
use zeroize::Zeroizing;

use crate::device::sign_with;
use crate::dice::{SealSeed, Stream};
use crate::suite::CIPHERSUITE;

type EncapsulationKey = <XWing as Kem>::PublicKey;
type DecapsulationKey = <XWing as Kem>::PrivateKey;
type Encapsulated = <XWing as Kem>::EncappedKey;

/// Whether something can be sealed to this key. openmls keeps any bytes as a key, and fails when it seals to it.
pub(crate) fn is_sealable(key: &impl tls_codec::Serialize) -> bool {
    let Ok(bytes) = key.tls_serialize_detached() else { return false };
    let Ok(key) = VLBytes::tls_deserialize_exact(bytes) else { return false };
    EncapsulationKey::from_bytes(key.as_slice()).is_ok()
}

/// The primitives, with the randomness of one call's seals. Without it nothing can be sealed.
pub(crate) struct Crypto {
    seals: Option<SealSeed>,
}

impl Crypto {
    pub(crate) fn new(seals: Option<SealSeed>) -> Self {
        Crypto { seals }
    }

    fn stream_for(&self, parts: &[&[u8]]) -> Result<Stream, CryptoError> {
        self.seals.as_ref().map(|seed| seed.for_parts(parts)).ok_or(CryptoError::InsufficientRandomness)
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == CIPHERSUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![CIPHERSUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        require_sha256(hash)?;
        Ok(Hkdf::<Sha256>::extract(Some(salt), ikm).0.as_slice().into())
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        require_sha256(hash)?;
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)?;
        Mac::update(&mut mac, message);
        Ok(mac.finalize().into_bytes().as_slice().into())
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        require_sha256(hash)?;
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        let mut okm = vec![0; length];
        hkdf.expand(info, &mut okm).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        Ok(okm.into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        require_sha256(hash)?;
        Ok(Sha256::digest(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        cipher(aead, key)?.encrypt(nonce, Payload { msg: data, aad }).map_err(|_| CryptoError::CryptoLibraryError)
    }

    fn aead_decrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        sealed: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        cipher(aead, key)?.decrypt(nonce, Payload { msg: sealed, aad }).map_err(|_| CryptoError::AeadDecryptionError)
    }

    /// Device keys are made by [`DeviceSecret`](crate::DeviceSecret), not here.
    fn signature_key_gen(&self, _: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        Err(CryptoError::InsufficientRandomness)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        require_ed25519(scheme)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| CryptoError::InvalidPublicKey)?;
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError::InvalidSignature)?;
        key.verify_strict(data, &signature).map_err(|_| CryptoError::InvalidSignature)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        require_ed25519(scheme)?;
        let seed = seed.try_into().map_err(|_| CryptoError::InvalidLength)?;
        Ok(sign_with(seed, data).to_vec())
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        require_hpke(&config)?;
        let mut stream = self.stream_for(&[b"seal", key, info, aad, plaintext])?;
        let key = EncapsulationKey::from_bytes(key).map_err(|_| CryptoError::InvalidPublicKey)?;
        let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, XWing>(
            &OpModeS::Base,
            &key,
            info,
            plaintext,
            aad,
            &mut stream,
        )
        .map_err(|_| CryptoError::HpkeEncryptionError)?;
        Ok(HpkeCiphertext { kem_output: encapsulated.to_bytes().to_vec().into(), ciphertext: ciphertext.into() })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        require_hpke(&config)?;
        let key = DecapsulationKey::from_bytes(key).map_err(|_| CryptoError::InvalidLength)?;
        let encapsulated =
            Encapsulated::from_bytes(input.kem_output.as_slice()).map_err(|_| CryptoError::HpkeDecryptionError)?;
        hpke::single_shot_open::<AesGcm128, HkdfSha256, XWing>(
            &OpModeR::Base,
            &key,
            &encapsulated,
            info,
            input.ciphertext.as_slice(),
            aad,
        )
        .map_err(|_| CryptoError::HpkeDecryptionError)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        require_hpke(&config)?;
        let mut stream = self.stream_for(&[b"export", key, info, exporter_context])?;
        let key = EncapsulationKey::from_bytes(key).map_err(|_| CryptoError::InvalidPublicKey)?;
        let (encapsulated, context) =
            hpke::setup_sender_with_rng::<AesGcm128, HkdfSha256, XWing>(&OpModeS::Base, &key, info, &mut stream)
                .map_err(|_| CryptoError::SenderSetupError)?;
        let mut exported = vec![0; length];
        context.export(exporter_context, &mut exported).map_err(|_| CryptoError::ExporterError)?;
        Ok((encapsulated.to_bytes().to_vec(), exported.into()))
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        encapsulated: &[u8],
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        require_hpke(&config)?;
        let key = DecapsulationKey::from_bytes(key).map_err(|_| CryptoError::InvalidLength)?;
        let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(|_| CryptoError::ReceiverSetupError)?;
        let context = hpke::setup_receiver::<AesGcm128, HkdfSha256, XWing>(&OpModeR::Base, &key, &encapsulated, info)
            .map_err(|_| CryptoError::ReceiverSetupError)?;
        let mut exported = vec![0; length];
        context.export(exporter_context, &mut exported).map_err(|_| CryptoError::ExporterError)?;
        Ok(exported.into())
    }

    /// By draft-connolly-cfrg-xwing-kem-06 (SHAKE256 over the input), as openmls' own provider does it. The `hpke` crate
    /// follows a later draft that labels the input: members who derive by different drafts do not understand each
    /// other's paths.
    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        require_hpke(&config)?;
        let mut seed = Zeroizing::new([0; 32]);
        let mut shake = Shake256::default();
        shake.update(ikm);
        shake.finalize_xof().read(&mut *seed);
        let key = DecapsulationKey::from_bytes(&*seed).map_err(|_| CryptoError::InvalidLength)?;
        let public = XWing::sk_to_pk(&key).to_bytes().to_vec();
        Ok(HpkeKeyPair { private: seed.as_slice().into(), public })
    }
}

fn cipher(aead: AeadType, key: &[u8]) -> Result<Aes128Gcm, CryptoError> {
    if aead != AeadType::Aes128Gcm {
        return Err(CryptoError::UnsupportedAeadAlgorithm);
    }
    Aes128Gcm::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)
}

fn require_sha256(hash: HashType) -> Result<(), CryptoError> {
    if hash == HashType::Sha2_256 { Ok(()) } else { Err(CryptoError::UnsupportedHashAlgorithm) }
}

fn require_ed25519(scheme: SignatureScheme) -> Result<(), CryptoError> {
    if scheme == SignatureScheme::ED25519 { Ok(()) } else { Err(CryptoError::UnsupportedSignatureScheme) }
}

fn require_hpke(config: &HpkeConfig) -> Result<(), CryptoError> {
    let HpkeConfig(HpkeKemType::XWingKemDraft6, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128) = config else {
        return Err(CryptoError::UnsupportedCiphersuite);
    };
    Ok(())
}
