package com.cloud.utils.component;

/** Signatures of utils, com/cloud/utils/component/AdapterBase.java. */
public class AdapterBase extends ComponentLifecycleBase implements Adapter {
}
