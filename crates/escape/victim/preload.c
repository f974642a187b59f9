/* A library that a granted program is talked into loading. It does nothing: being mapped to be run is enough. */
int bailiwick_escape_preloaded(void);
int bailiwick_escape_preloaded(void) { return 1; }

/* As LD_AUDIT asks for. */
unsigned la_version(unsigned version);
unsigned la_version(unsigned version) { return version; }
