/* What the attacks share. Each is run as `probe MARK NAME ARG…`, in a process of its own. Nothing that an
   attack says of itself counts: the runner looks from outside, and finds its processes by MARK. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct attack {
    const char *name;
    void (*run)(char **a);
};

extern const struct attack files[], links[], proc_files[], descriptors[], mounts[], network[], rings[], processes[],
    kernel[], terminals[], shared[], leftovers[], bombs[], secrets[], programs[];

extern char *mark;      /* also what is sent and written */
extern char **own_args; /* the whole argument list */

/* Says why it did not work, and ends. */
void fail(const char *what) __attribute__((noreturn));
/* Ends when EXPR is negative. */
#define TRY(expr)                                                                                                      \
    ({                                                                                                                 \
        long result_ = (long)(expr);                                                                                   \
        if (result_ < 0) fail(#expr);                                                                                  \
        result_;                                                                                                       \
    })

void cat_fd(int fd);
void cat(const char *path);
/* Puts MARK into an existing file. */
void put(const char *path);
/* Lets the runner look at what this process has got hold of; goes on when the runner has. */
void hold(void);
/* The same with a child, which shows what it has reached as well. */
void hold_both(pid_t child);
/* Stays, without a word, until killed; for children whose mere being there is the effect. */
void linger(void) __attribute__((noreturn));
