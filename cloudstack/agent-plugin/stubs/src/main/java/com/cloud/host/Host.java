package com.cloud.host;

/** Signatures of api, com/cloud/host/Host.java. */
public interface Host {
    /** Signatures of the nested enum; the real one has more constants. */
    enum Type {
        Routing, Storage, ConsoleProxy
    }
}
