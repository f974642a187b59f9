//! An independent witness, in Python, asked by our client; and its client, which asks ours.
