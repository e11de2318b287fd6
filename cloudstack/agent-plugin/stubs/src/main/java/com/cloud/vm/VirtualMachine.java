package com.cloud.vm;

/** Signatures of api, com/cloud/vm/VirtualMachine.java. */
public interface VirtualMachine {
    /** Signatures of the nested enum. */
    enum PowerState {
        PowerUnknown, PowerOn, PowerOff, PowerReportMissing
    }
}
