//! What crosses a link.
