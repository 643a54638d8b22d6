/* The one list of outcomes: name, Python exception, message.  sc_status codes,
 * sc_status_message() and the Cython error map are all made from it. */
#ifndef SC_STATUS_H
#define SC_STATUS_H

#define SC_STATUS_LIST(X)                                                              \
    X(OK, None, "done")                                                                \
    X(NO_MEMORY, MemoryError, "out of memory")                                         \
    X(BAD_INDPTR, ValueError, "indptr does not rise from 0 to the number of entries")  \
    X(BAD_INDEX, ValueError, "an index lies outside the matrix")                       \
    X(BAD_SHAPE, ValueError, "the shapes do not fit together")                         \
    X(BAD_TYPE, TypeError, "no kernel for this combination of types")                  \
    X(TOO_LARGE, OverflowError, "the result does not fit the index type")              \
    X(IS_NAN, ValueError, "the values contain NaN")                                    \
    X(CHANGED, ValueError, "the input changed while it was being read")                \
    X(INTERRUPTED, KeyboardInterrupt, "interrupted")                                   \
    X(UNSUPPORTED_ISA, ValueError, "this processor lacks the instruction set")

enum sc_status {
#define X(name, exception, message) SC_##name,
    SC_STATUS_LIST(X)
#undef X
};

#endif
