//! The suite: one test binary over the real router, by topic.

mod sign_in;
