//! The client: one method for each route.

mod contacts;
mod devices;
mod sessions;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    AddPerson, AddTopic, ApiError, AttendRequest, Attended, Configuration, ConnectRequest, CreateToken, CreatedToken,
    EndpointFile, Error, EstimateRequest, EventStream, Inbox, Peers, Person, Persons, Quote, Regions, SendBatch,
    SendBatchResults, SendRequest, Sent, SizeEstimate, Status, Tokens, Topic, Topics,
};

/// Longer than any route takes: the slowest, an estimate, is cut off by the node after 60 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(75);

/// Speaks to one node with one token. Cheap to clone: clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// Without the token.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.url)
    }
}

impl Client {
    /// A client of the node at `url` (`http://127.0.0.1:PORT`). Nothing is sent yet.
    pub fn connect(url: impl Into<String>, token: impl Into<String>) -> Client {
        let url = url.into().trim_end_matches('/').to_owned();
        Client { http: reqwest::Client::new(), url, token: token.into() }
    }

    /// A client of the node that runs on `data_dir`, with its administrator's token.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if none runs there.
    pub fn from_data_dir(data_dir: impl AsRef<Path>) -> Result<Client, Error> {
        let file = EndpointFile::read(data_dir.as_ref())?;
        Ok(Client::connect(file.api, file.token))
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the process is up; asks for no token.
    pub async fn is_live(&self) -> bool {
        self.answers("/livez").await
    }

    /// Whether the node has joined the network; asks for no token.
    pub async fn is_ready(&self) -> bool {
        self.answers("/readyz").await
    }

    /// A summary of the node. Scope `read`.
    pub async fn status(&self) -> Result<Status, Error> {
        self.get("/api/v1/status").await
    }

    /// Every connected peer. Scope `admin`.
    pub async fn peers(&self) -> Result<Peers, Error> {
        self.get("/api/v1/peers").await
    }

    /// Dials these locators. Scope `admin`.
    pub async fn connect_peers(&self, request: &ConnectRequest) -> Result<(), Error> {
        self.call_empty(Method::POST, "/api/v1/peers", Some(request)).await
    }

    /// The regions the node listens to. Scope `admin`.
    pub async fn regions(&self) -> Result<Regions, Error> {
        self.get("/api/v1/regions").await
    }

    /// Listens to a region. Scope `admin`.
    pub async fn attend(&self, request: &AttendRequest) -> Result<Attended, Error> {
        self.post("/api/v1/regions", request).await
    }

    /// Listens to a region no more. Scope `admin`.
    pub async fn leave(&self, region: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &format!("/api/v1/regions/{}", segment(region)), None::<&()>).await
    }

    /// Estimates the network's size; takes seconds. Scope `read`.
    pub async fn estimate(&self, request: &EstimateRequest) -> Result<SizeEstimate, Error> {
        self.post("/api/v1/estimate", request).await
    }

    /// What a packet of that luminosity (0..=254 or 256) would cost now. Scope `read`.
    pub async fn quote(&self, luminosity: u16) -> Result<Quote, Error> {
        self.get(&format!("/api/v1/quote?luminosity={luminosity}")).await
    }

    /// The principal's people, their addresses at the luminosity they were made with or the one given. Scope `persons`.
    pub async fn persons(&self, luminosity: Option<u16>) -> Result<Persons, Error> {
        match luminosity {
            Some(bits) => self.get(&format!("/api/v1/persons?luminosity={bits}")).await,
            None => self.get("/api/v1/persons").await,
        }
    }

    /// Makes a person. Scope `persons`.
    pub async fn add_person(&self, request: &AddPerson) -> Result<Person, Error> {
        self.post("/api/v1/persons", request).await
    }

    /// Forgets a person and its key for ever, by its identity key or scan key in hex. Scope `persons`.
    pub async fn remove_person(&self, key: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &format!("/api/v1/persons/{}", segment(key)), None::<&()>).await
    }

    /// The principal's topics, without their keys. Scope `persons`.
    pub async fn topics(&self) -> Result<Topics, Error> {
        self.get("/api/v1/topics").await
    }

    /// Reads a topic, making its key if none is given. Scope `persons`.
    pub async fn add_topic(&self, request: &AddTopic) -> Result<Topic, Error> {
        self.post("/api/v1/topics", request).await
    }

    /// Stops reading a topic and forgets its key, by its fingerprint in hex. Scope `persons`.
    pub async fn remove_topic(&self, fingerprint: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &format!("/api/v1/topics/{}", segment(fingerprint)), None::<&()>).await
    }

    /// Seals and sends a message; returns when the node has custody of the packet. Scope `send`.
    pub async fn send(&self, request: &SendRequest) -> Result<Sent, Error> {
        self.post("/api/v1/send", request).await
    }

    /// Seals and sends up to [`crate::BATCH_MAX`] messages; each is accepted or refused by itself. Scope `send`.
    pub async fn send_batch(&self, request: &SendBatch) -> Result<SendBatchResults, Error> {
        self.post("/api/v1/send/batch", request).await
    }

    /// Opened messages after a sequence number, at most `limit` (1..=1000). Scope `read`.
    pub async fn inbox(&self, after: u64, limit: usize) -> Result<Inbox, Error> {
        self.get(&format!("/api/v1/inbox?after={after}&limit={limit}")).await
    }

    /// Events as they come; with `after`, first the kept messages with a greater sequence number, none twice and
    /// none left out between them and the news.
    pub async fn events(&self, after: Option<u64>) -> Result<EventStream, Error> {
        let path = match after {
            Some(after) => format!("/api/v1/events?after={after}"),
            None => "/api/v1/events".to_owned(),
        };
        let request = self.http.get(self.at(&path)).bearer_auth(&self.token);
        let response = self.checked(request.send().await).await?;
        Ok(EventStream::new(self.at(&path), response))
    }

    /// The configuration the node runs with. Scope `admin`.
    pub async fn config(&self) -> Result<Configuration, Error> {
        self.get("/api/v1/config").await
    }

    /// Every token, without secrets. Scope `admin`.
    pub async fn tokens(&self) -> Result<Tokens, Error> {
        self.get("/api/v1/tokens").await
    }

    /// Makes a token. Scope `admin`.
    pub async fn create_token(&self, request: &CreateToken) -> Result<CreatedToken, Error> {
        self.post("/api/v1/tokens", request).await
    }

    /// Revokes a token at once, by its id. Scope `admin`.
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        self.call_empty(Method::DELETE, &format!("/api/v1/tokens/{}", segment(id)), None::<&()>).await
    }

    /// Asks the node to stop; it answers before it does. Scope `admin`.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.call_empty(Method::POST, "/api/v1/shutdown", None::<&()>).await
    }

    /// The API's description, OpenAPI 3.1; asks for no token.
    pub async fn openapi(&self) -> Result<serde_json::Value, Error> {
        self.get("/api/v1/openapi.json").await
    }

    /// Measurements in Prometheus' text form. Scope `metrics`.
    pub async fn metrics(&self) -> Result<String, Error> {
        let response = self.response(Method::GET, "/metrics", None::<&()>).await?;
        response.text().await.map_err(|error| self.transport(&error))
    }

    async fn answers(&self, path: &str) -> bool {
        let answer = self.http.get(self.at(path)).timeout(ANSWER_TIMEOUT).send().await;
        answer.is_ok_and(|response| response.status().is_success())
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Error> {
        self.read(self.response(Method::GET, path, None::<&()>).await?).await
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<A, Error> {
        self.read(self.response(Method::POST, path, Some(request)).await?).await
    }

    async fn call_empty(&self, method: Method, path: &str, request: Option<&impl Serialize>) -> Result<(), Error> {
        self.response(method, path, request).await.map(drop)
    }

    async fn response(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<reqwest::Response, Error> {
        let request = self.http.request(method, self.at(path)).bearer_auth(&self.token).timeout(ANSWER_TIMEOUT);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.checked(request.send().await).await
    }

    /// Turns every answer that is not a success into the error it carries.
    async fn checked(&self, answer: Result<reqwest::Response, reqwest::Error>) -> Result<reqwest::Response, Error> {
        let response = answer.map_err(|error| self.transport(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let error = response.json::<ApiError>().await;
        Err(error.map_or_else(|_| self.protocol(format!("status {status} without an error")), Error::Api))
    }

    async fn read<A: DeserializeOwned>(&self, response: reqwest::Response) -> Result<A, Error> {
        let bytes = response.bytes().await.map_err(|error| self.transport(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.protocol(error.to_string()))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The innermost cause says most: "connection refused" rather than "error sending request".
    fn transport(&self, error: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Error::Transport { url: self.url.clone(), why: cause.to_string() }
    }

    fn protocol(&self, why: String) -> Error {
        Error::Protocol { url: self.url.clone(), why }
    }
}

/// One path segment, with everything but letters, digits, `-`, `_` and `.` escaped.
fn segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => escaped.push(char::from(byte)),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_path_segment() {
        assert_eq!(segment("a/b?c ü"), "a%2Fb%3Fc%20%C3%BC");
    }

    #[test]
    fn a_directory_without_a_node_says_how_to_start_one() {
        let directory = std::env::temp_dir().join("mainframe-sdk-no-such-directory");
        let error = Client::from_data_dir(&directory).unwrap_err().to_string();
        assert!(error.contains("no node is running") && error.contains("mainframe up"), "{error}");
    }
}
