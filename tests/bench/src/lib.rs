//! Load on release builds of the server and on a bare program.

pub mod database;
pub mod http;
pub mod load;
pub mod people;
pub mod programs;
pub mod refresh;
pub mod report;
pub mod sign_in;
