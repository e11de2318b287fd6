package com.cloud.agent.api;

import java.util.Map;

import com.cloud.host.Host;

/** Signatures of core, com/cloud/agent/api/PingRoutingCommand.java. */
public class PingRoutingCommand extends PingCommand {
    Map<String, HostVmStateReportEntry> _hostVmStateReport;
    boolean _gatewayAccessible = true;
    boolean _vnetAccessible = true;

    protected PingRoutingCommand() {
    }

    public PingRoutingCommand(Host.Type type, long id, Map<String, HostVmStateReportEntry> hostVmStateReport) {
        super(type, id);
        _hostVmStateReport = hostVmStateReport;
    }

    public Map<String, HostVmStateReportEntry> getHostVmStateReport() {
        return _hostVmStateReport;
    }
}
