//! Tests of the whole: the real binary over real sockets. One test binary, so
//! that it is linked once.

mod consent;
mod fields;
mod limits;
mod proxy;
mod replies;
mod requests;
mod support;
