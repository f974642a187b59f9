/* The terminal of whoever started the program, and other people's. */
#include "probe.h"

/* Types MARK and a line end, as if it had been the person. */
static void type(char **a) {
    int fd = *a[0] == '-' ? 0 : TRY(open(a[0], O_RDWR | O_NOCTTY));
    unsigned long request = TIOCSTI;
    if (a[1]) request |= strtoul(a[1], NULL, 16) << 32;
    for (char *at = mark; *at; at++) TRY(syscall(SYS_ioctl, fd, request, at));
    TRY(syscall(SYS_ioctl, fd, request, "\n"));
}

static void take(char **a) {
    (void)a;
    setsid();
    TRY(ioctl(0, TIOCSCTTY, 0));
    hold();
}

static void write_to(char **a) {
    int fd = TRY(open(a[0], O_WRONLY | O_NOCTTY));
    TRY(write(fd, mark, strlen(mark)));
    TRY(write(fd, "\n", 1));
}

static void discipline(char **a) {
    (void)a;
    int which = 27; /* N_NULL: the terminal is deaf and dumb from then on */
    TRY(ioctl(0, TIOCSETD, &which));
}

const struct attack terminals[] = {
    {"type", type}, {"take", take}, {"write-to", write_to}, {"discipline", discipline}, {NULL, NULL}};
