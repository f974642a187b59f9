/* Memory, queues and semaphores that have a name or number anybody may use. */
#include "probe.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static void segment_read(char **a) {
    char *text = shmat(atoi(a[0]), NULL, SHM_RDONLY);
    if (text == (void *)-1) fail("shmat");
    puts(text);
}

static void segment_write(char **a) {
    char *text = shmat(atoi(a[0]), NULL, 0);
    if (text == (void *)-1) fail("shmat");
    text[2048] = 'X';
}

static void segment_remove(char **a) { TRY(shmctl(atoi(a[0]), IPC_RMID, NULL)); }

/* What is made stays when its maker has gone. */
static void segment_leave(char **a) { TRY(shmget(strtol(a[0], NULL, 16), 4096, IPC_CREAT | 0600)); }

static void queue_send(char **a) {
    struct {
        long kind;
        char text[64];
    } message = {1, ""};
    snprintf(message.text, sizeof message.text, "%s", mark);
    TRY(msgsnd(atoi(a[0]), &message, sizeof message.text, IPC_NOWAIT));
}

static void semaphore(char **a) {
    struct sembuf up = {0, 5, 0};
    TRY(semop(atoi(a[0]), &up, 1));
}

static void posix_queue_send(char **a) {
    mqd_t queue = TRY(mq_open(a[0], O_WRONLY | O_NONBLOCK));
    TRY(mq_send(queue, mark, strlen(mark), 0));
}

static void posix_queue_leave(char **a) {
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 64};
    TRY(mq_open(a[0], O_CREAT | O_WRONLY, 0600, &small));
    hold();
    mq_unlink(a[0]);
}

static void posix_read(char **a) {
    int fd = TRY(shm_open(a[0], O_RDONLY, 0));
    cat_fd(fd);
}

static void posix_write(char **a) {
    int fd = TRY(shm_open(a[0], O_RDWR, 0));
    char *text = mmap(NULL, 4096, 3, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED) fail("mmap");
    text[2048] = 'X';
}

static void posix_leave(char **a) { TRY(shm_open(a[0], O_CREAT | O_RDWR, 0600)); }

const struct attack shared[] = {{"segment-read", segment_read},     {"segment-write", segment_write},
                                {"segment-remove", segment_remove}, {"segment-leave", segment_leave},
                                {"queue-send", queue_send},         {"semaphore", semaphore},
                                {"posix-queue-send", posix_queue_send}, {"posix-queue-leave", posix_queue_leave},
                                {"posix-read", posix_read},         {"posix-write", posix_write},
                                {"posix-leave", posix_leave},       {NULL, NULL}};
