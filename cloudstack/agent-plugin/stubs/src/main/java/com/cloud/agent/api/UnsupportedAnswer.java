package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/UnsupportedAnswer.java. */
public class UnsupportedAnswer extends Answer {
    protected UnsupportedAnswer() {
    }
}
