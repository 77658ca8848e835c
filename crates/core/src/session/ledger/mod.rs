//! What was said in one session: nothing lost, nothing twice, causes before effects.
