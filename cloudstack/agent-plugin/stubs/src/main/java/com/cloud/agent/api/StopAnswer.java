package com.cloud.agent.api;

/** Signatures of core, com/cloud/agent/api/StopAnswer.java. */
public class StopAnswer extends RebootAnswer {
    String platform;
}
