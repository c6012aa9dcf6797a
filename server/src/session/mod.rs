//! Who is asking, and whether they may.
//!
//! [`store`] keeps tower-sessions' sessions in the database, [`session_cookie`] names them in the browser, [`current_user`] finds
//! the person behind one. [`guard`] lets nobody in by default, by path; [`access`] has the extractors that say in a
//! handler's signature who may.

pub mod access;
pub mod current_user;
pub mod device;
pub mod guard;
pub mod session_cookie;
pub mod store;
