//! First contact: how two people who have never talked come to share a session.
