package csbm.cloudstack;

/** The service gave no answer. The message is for the operator: where, what, and what to do. */
final class ServiceFailure extends Exception {
    private static final long serialVersionUID = 1;

    enum Kind {
        /** No connection came about: nothing was sent. */
        UNREACHED,
        /** The connection broke, or what came back was no answer of the service's: it may be at work. */
        BROKEN,
        /** 502, 503, 504: a proxy in between, or the service starting or stopping. */
        UNAVAILABLE,
        /** The time for it is over. */
        LATE,
        /** The service said no, or something is wrong with what stands here; the same again would fail again. */
        REFUSED
    }

    private final Kind kind;

    ServiceFailure(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    Kind kind() {
        return kind;
    }
}
