//! What a native program needs to run at all: its closure, and packages fetched beforehand.
