// Nothing: the library is preloaded, and nobody links with it.
