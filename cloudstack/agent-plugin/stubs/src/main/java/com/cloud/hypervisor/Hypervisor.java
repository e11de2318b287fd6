package com.cloud.hypervisor;

/** Signatures of api, com/cloud/hypervisor/Hypervisor.java. */
public class Hypervisor {
    /** An enum up to 4.19, a class with constants from 4.20 on: code that only reads a constant runs with both. */
    public enum HypervisorType {
        BareMetal, KVM, External
    }
}
