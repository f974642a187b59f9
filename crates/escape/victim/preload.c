/* A library that a granted program is talked into loading. It does nothing: being mapped to be run is enough. */
int bailiwick_escape_preloaded(void);
int bailiwick_escape_preloaded(void) { return 1; }
