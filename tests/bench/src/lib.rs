//! Load on a release build of the server and on a bare program.

pub mod http;
pub mod load;
pub mod programs;
pub mod report;
pub mod seed;
pub mod sign_in;
