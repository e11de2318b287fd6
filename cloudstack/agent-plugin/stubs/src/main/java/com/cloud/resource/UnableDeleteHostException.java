package com.cloud.resource;

/** Signatures of engine/components-api, com/cloud/resource/UnableDeleteHostException.java. */
public class UnableDeleteHostException extends Exception {
    public UnableDeleteHostException(String message) {
        super(message);
    }
}
