// peer is libzmq at the work that brine-bench gives to brine's bus, with CURVE, on the same machine in the same minute.
//
//	peer router            a ROUTER that obeys the first byte of each message:
//	                       H: remember who sent it   E: send it back   B: nothing   D: send it back, it ends a bulk
//	                       and "F SIZE\n" on stdin: send SIZE bytes to each that is remembered
//	peer fanout N SIZE R   a PUB (an XPUB, which tells when all have subscribed) and N SUB in processes of their own;
//	                       prints nanoseconds: from the first connect to the last subscription, then of R rounds of one
//	                       message of SIZE bytes until the last SUB has it
//
// A router prints "PORT KEY\n" first, the key in hex. There is no ZAP handler: any client's key is welcome.

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { CHILDREN = 4, BACKLOG = 4096 };

static void must(int ok, const char *what) {
	if (ok) return;
	fprintf(stderr, "peer: %s: %s\n", what, zmq_strerror(errno));
	exit(1);
}

static void option(void *socket, int name, int value) {
	must(zmq_setsockopt(socket, name, &value, sizeof value) == 0, "set option");
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// serve binds a CURVE server to a free port, and gives its endpoint and its key in z85.
static void *serve(void *context, int type, char *endpoint, size_t size, char *public) {
	char secret[41];
	void *socket = zmq_socket(context, type);
	must(socket != NULL, "socket");
	must(zmq_curve_keypair(public, secret) == 0, "make key");
	option(socket, ZMQ_CURVE_SERVER, 1);
	must(zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, sizeof secret) == 0, "set key");
	option(socket, ZMQ_SNDHWM, 0);
	option(socket, ZMQ_RCVHWM, 0);
	option(socket, ZMQ_BACKLOG, BACKLOG);
	option(socket, ZMQ_LINGER, 0);
	must(zmq_bind(socket, "tcp://127.0.0.1:*") == 0, "bind");
	must(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0, "endpoint");
	return socket;
}

struct route {
	uint8_t id[256];
	size_t size;
};

static struct route *routes;
static size_t known, room;

static void remember(const void *id, size_t size) {
	if (known == room) {
		room = room ? 2 * room : 1024;
		routes = realloc(routes, room * sizeof *routes);
		must(routes != NULL, "memory");
	}
	memcpy(routes[known].id, id, size);
	routes[known++].size = size;
}

// obey takes one message; 0 when there is none.
static int obey(void *router) {
	zmq_msg_t from, body;
	zmq_msg_init(&from);
	zmq_msg_init(&body);
	if (zmq_msg_recv(&from, router, ZMQ_DONTWAIT) < 0) return 0;
	must(zmq_msg_recv(&body, router, 0) >= 0, "receive");
	char verb = zmq_msg_size(&body) ? *(char *)zmq_msg_data(&body) : 0;
	if (verb == 'H') remember(zmq_msg_data(&from), zmq_msg_size(&from));
	if (verb == 'E' || verb == 'D') {
		zmq_msg_send(&from, router, ZMQ_SNDMORE);
		zmq_msg_send(&body, router, 0);
	}
	zmq_msg_close(&from);
	zmq_msg_close(&body);
	return 1;
}

// command reads one line of stdin; 0 at its end.
static int command(void *router) {
	char line[64];
	size_t size;
	if (!fgets(line, sizeof line, stdin)) return 0;
	must(sscanf(line, "F %zu", &size) == 1, "command");
	void *body = calloc(1, size);
	must(body != NULL, "memory");
	for (size_t i = 0; i < known; i++) {
		zmq_send(router, routes[i].id, routes[i].size, ZMQ_SNDMORE);
		must(zmq_send(router, body, size, 0) >= 0, "send");
	}
	free(body);
	return 1;
}

static int run_router(void) {
	char endpoint[64], public[41];
	uint8_t key[32];
	void *router = serve(zmq_ctx_new(), ZMQ_ROUTER, endpoint, sizeof endpoint, public);
	zmq_z85_decode(key, public);
	printf("%s ", strrchr(endpoint, ':') + 1);
	for (size_t i = 0; i < sizeof key; i++) printf("%02x", key[i]);
	printf("\n");
	fflush(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		zmq_pollitem_t items[] = {{router, 0, ZMQ_POLLIN, 0}, {NULL, STDIN_FILENO, ZMQ_POLLIN, 0}};
		must(zmq_poll(items, 2, -1) >= 0, "poll");
		while (obey(router)) {
		}
		if (items[1].revents && !command(router)) return 0;
	}
}

// subscribe is one child: it waits for each message on each of its sockets, and tells when the last has come.
static void subscribe(const char *endpoint, const char *server, int n, int rounds, int tell) {
	void *context = zmq_ctx_new();
	must(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, n + 16) == 0, "max sockets");
	void **sockets = calloc(n, sizeof *sockets);
	for (int i = 0; i < n; i++) {
		char public[41], secret[41];
		sockets[i] = zmq_socket(context, ZMQ_SUB);
		must(sockets[i] != NULL, "socket");
		must(zmq_curve_keypair(public, secret) == 0, "make key");
		must(zmq_setsockopt(sockets[i], ZMQ_CURVE_SERVERKEY, server, 41) == 0, "server key");
		must(zmq_setsockopt(sockets[i], ZMQ_CURVE_PUBLICKEY, public, sizeof public) == 0, "public key");
		must(zmq_setsockopt(sockets[i], ZMQ_CURVE_SECRETKEY, secret, sizeof secret) == 0, "secret key");
		must(zmq_setsockopt(sockets[i], ZMQ_SUBSCRIBE, "", 0) == 0, "subscribe");
		option(sockets[i], ZMQ_LINGER, 0);
		must(zmq_connect(sockets[i], endpoint) == 0, "connect");
	}
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < n; i++) {
			zmq_msg_t body;
			zmq_msg_init(&body);
			must(zmq_msg_recv(&body, sockets[i], 0) >= 0, "receive");
			zmq_msg_close(&body);
		}
		int64_t t = now();
		must(write(tell, &t, sizeof t) == sizeof t, "tell");
	}
	_exit(0);
}

static int run_fanout(int n, size_t size, int rounds) {
	char endpoint[64], public[41];
	int start[2], told[2];
	must(pipe(start) == 0 && pipe(told) == 0, "pipe");
	for (int c = 0; c < CHILDREN; c++) { // forked before there are threads
		int share = n / CHILDREN + (c < n % CHILDREN);
		if (fork() != 0) continue;
		struct { char endpoint[64], public[41]; } master;
		must(read(start[0], &master, sizeof master) == sizeof master, "start");
		subscribe(master.endpoint, master.public, share, rounds, told[1]);
	}
	void *pub = serve(zmq_ctx_new(), ZMQ_XPUB, endpoint, sizeof endpoint, public);
	option(pub, ZMQ_XPUB_VERBOSE, 1);
	int64_t begun = now();
	for (int c = 0; c < CHILDREN; c++) {
		struct { char endpoint[64], public[41]; } master;
		memset(&master, 0, sizeof master);
		strcpy(master.endpoint, endpoint);
		strcpy(master.public, public);
		must(write(start[1], &master, sizeof master) == sizeof master, "start");
	}
	for (int i = 0; i < n; i++) {
		char subscription[8];
		must(zmq_recv(pub, subscription, sizeof subscription, 0) >= 0, "subscription");
	}
	printf("%lld", (long long)(now() - begun));
	void *body = calloc(1, size);
	for (int r = 0; r < rounds; r++) {
		int64_t last = 0, sent = now();
		must(zmq_send(pub, body, size, 0) >= 0, "publish");
		for (int c = 0; c < CHILDREN; c++) {
			int64_t t;
			must(read(told[0], &t, sizeof t) == sizeof t, "wait");
			if (t > last) last = t;
		}
		printf(" %lld", (long long)(last - sent));
	}
	printf("\n");
	while (wait(NULL) > 0) {
	}
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "router") == 0) return run_router();
	if (argc == 5 && strcmp(argv[1], "fanout") == 0) return run_fanout(atoi(argv[2]), strtoul(argv[3], NULL, 10), atoi(argv[4]));
	fprintf(stderr, "usage: peer router | peer fanout MINIONS SIZE ROUNDS\n");
	return 2;
}
