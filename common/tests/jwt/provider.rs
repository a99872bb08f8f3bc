//! An identity provider: keys, tokens signed with them, and a server that publishes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A key of the provider's, or of an impostor.
pub(crate) struct Signer {
    id: Option<String>,
    key: Private,
}

enum Private {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(hmac::Key),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.algorithm(), self.id)
    }
}

impl Signer {
    pub(crate) fn rsa(id: &str) -> Self {
        let key = RsaKeyPair::from_der(include_bytes!("rsa.der")).unwrap();
        Self { id: Some(id.to_owned()), key: Private::Rsa(key) }
    }

    pub(crate) fn p256(id: &str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        Self { id: Some(id.to_owned()), key: Private::P256(key) }
    }

    pub(crate) fn ed25519(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        Self { id: Some(id.to_owned()), key: Private::Ed25519(key) }
    }

    pub(crate) fn secret(id: Option<&str>, secret: &[u8]) -> Self {
        Self { id: id.map(str::to_owned), key: Private::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)) }
    }

    /// The same key under another name.
    pub(crate) fn named(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    const fn algorithm(&self) -> &'static str {
        match self.key {
            Private::Rsa(_) => "RS256",
            Private::P256(_) => "ES256",
            Private::Ed25519(_) => "EdDSA",
            Private::Secret(_) => "HS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Private::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Private::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }

    /// As a key set lists it.
    fn public(&self) -> Value {
        let mut key = match &self.key {
            Private::Rsa(key) => {
                let rsa::PublicKeyComponents { n, e } = rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": encoded(n), "e": encoded(e)})
            }
            Private::P256(key) => {
                let point = &key.public_key().as_ref()[1..];
                json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[..32]), "y": encoded(&point[32..])})
            }
            Private::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key())})
            }
            Private::Secret(_) => panic!("a secret is not public"),
        };
        key["kid"] = json!(self.id);
        key
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn key_set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.public()).collect::<Vec<_>>()}).to_string()
}

/// Claims of a reader's token that expires at `end`, with other ones in place; null removes one.
pub(crate) fn claims(end: Timestamp, change: Value) -> Value {
    let mut claims = json!({
        "iss": super::ISSUER, "aud": super::AUDIENCE, "exp": end.seconds(), "sub": "someone", "scope": "read export",
    });
    let all = claims.as_object_mut().unwrap();
    all.extend(change.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    claims
}

pub(crate) fn token(signer: &Signer, claims: &Value) -> String {
    with_header(signer, json!({}), claims)
}

pub(crate) fn with_header(signer: &Signer, more: Value, claims: &Value) -> String {
    let mut header = json!({"typ": "JWT", "alg": signer.algorithm()});
    if let Some(id) = &signer.id {
        header["kid"] = json!(id);
    }
    header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
    format!("{message}.{}", encoded(signer.sign(message.as_bytes())))
}

/// A token that claims an algorithm and has no signature.
pub(crate) fn unsigned(algorithm: &str, id: &str, claims: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": algorithm, "kid": id});
    format!("{}.{}.", encoded(header.to_string()), encoded(claims.to_string()))
}

/// A server with a key set.
pub(crate) struct Provider {
    url: String,
    /// What it answers; `None` for a failure.
    body: Arc<Mutex<Option<String>>>,
    fetches: Arc<AtomicUsize>,
    /// While it is locked, no answer is sent.
    pub(crate) held: Arc<tokio::sync::Mutex<()>>,
}

impl Provider {
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys.json", listener.local_addr().unwrap());
        let body = Arc::new(Mutex::new(Some(key_set(signers))));
        let fetches = Arc::new(AtomicUsize::new(0));
        let held = Arc::new(tokio::sync::Mutex::new(()));
        let (shown, counted, released) = (Arc::clone(&body), Arc::clone(&fetches), Arc::clone(&held));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                counted.fetch_add(1, Ordering::SeqCst);
                drop(released.lock().await);
                let body = shown.lock().unwrap().clone();
                let status = if body.is_some() { "200 OK" } else { "500 Internal Server Error" };
                let body = body.unwrap_or_default();
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                // A client that is sent too much closes the connection.
                let _ = socket.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { url, body, fetches, held }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.answer(&key_set(signers));
    }

    pub(crate) fn answer(&self, body: &str) {
        *self.body.lock().unwrap() = Some(body.to_owned());
    }

    pub(crate) fn fail(&self) {
        *self.body.lock().unwrap() = None;
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}
