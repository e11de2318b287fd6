package com.cloud.serializer;

import java.lang.reflect.Array;

import com.cloud.agent.api.Answer;
import com.cloud.agent.api.Command;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonDeserializer;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonSerializer;

/**
 * Signatures of core, com/cloud/serializer/GsonHelper.java, with a codec of the same outer shape: each element of an array is an object
 * whose one key is the class name.
 */
public final class GsonHelper {
    private static final Gson plain = new Gson();
    private static final Gson gson = new GsonBuilder()
            .registerTypeAdapter(Command[].class, writer())
            .registerTypeAdapter(Command[].class, reader(Command.class))
            .registerTypeAdapter(Answer[].class, writer())
            .registerTypeAdapter(Answer[].class, reader(Answer.class))
            .create();

    private GsonHelper() {
    }

    public static Gson getGson() {
        return gson;
    }

    private static JsonSerializer<Object[]> writer() {
        return (elements, type, context) -> {
            JsonArray array = new JsonArray();
            for (Object element : elements) {
                JsonObject entry = new JsonObject();
                entry.add(element.getClass().getName(), plain.toJsonTree(element));
                array.add(entry);
            }
            return array;
        };
    }

    private static JsonDeserializer<Object[]> reader(Class<?> elementType) {
        return (json, type, context) -> {
            JsonArray array = json.getAsJsonArray();
            Object[] elements = (Object[]) Array.newInstance(elementType, array.size());
            for (int i = 0; i < elements.length; i++) {
                String className = array.get(i).getAsJsonObject().entrySet().iterator().next().getKey();
                JsonElement fields = array.get(i).getAsJsonObject().get(className);
                try {
                    elements[i] = plain.fromJson(fields, Class.forName(className));
                } catch (ClassNotFoundException unknown) {
                    throw new JsonParseException("can't find " + className);
                }
            }
            return elements;
        };
    }
}
