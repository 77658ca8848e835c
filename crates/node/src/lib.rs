//! The shell around the core: drivers, store, configuration, keys, local API.
