//! The server's HTTP surface, driven from outside over a database in memory.

mod access;
mod doors;
mod hostile;
mod pages;
mod people;
mod prefect_socket;
mod serving;
mod world;
