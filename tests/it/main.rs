//! Tests of the whole: the real binary over real sockets. One test binary, so
//! that it is linked once.

mod canary;
mod crash;
mod proxy;
mod random;
mod splicing;
mod support;
