package com.cloud.utils.component;

/** Signatures of utils, com/cloud/utils/component/Adapter.java. */
public interface Adapter extends ComponentLifecycle {
}
