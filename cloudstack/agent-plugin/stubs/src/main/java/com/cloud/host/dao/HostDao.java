package com.cloud.host.dao;

import com.cloud.host.HostVO;

/** Signatures of engine/schema, com/cloud/host/dao/HostDao.java. */
public interface HostDao {
    void loadDetails(HostVO host);
}
