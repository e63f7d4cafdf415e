"""The cases, one module a part of the matrix; `xentropy.parity._cases` gathers them."""
