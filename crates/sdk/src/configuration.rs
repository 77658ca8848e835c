//! What the node was told, and by what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One value of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigValue {
    /// Its name, as in the file.
    pub key: String,
    /// Its value, written as in the file.
    pub value: String,
    /// Where the value comes from: `flag --listen`, `env MAINFRAME_LISTEN`, `file /…/config.toml`, `profile devnet`
    /// or `default`.
    pub origin: String,
}

/// The configuration the node runs with (`GET config`, scope `admin`). Holds no secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// In the order of the documentation.
    pub values: Vec<ConfigValue>,
}
