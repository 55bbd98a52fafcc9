package sheaftest

import "reflect"

// same reports whether two values are equal, but for nil and empty slices and maps, which few encodings tell apart. A
// type may say so itself with a method Equal.
func same(x, y any) bool { return sameValue(reflect.ValueOf(x), reflect.ValueOf(y)) }

func sameValue(x, y reflect.Value) bool {
	if x.IsValid() != y.IsValid() {
		return false
	}
	if !x.IsValid() {
		return true
	}
	if x.Type() != y.Type() {
		return false
	}
	if equal, ok := byMethod(x, y); ok {
		return equal
	}
	switch x.Kind() {
	case reflect.Pointer, reflect.Interface:
		return x.IsNil() == y.IsNil() && (x.IsNil() || sameValue(x.Elem(), y.Elem()))
	case reflect.Struct:
		for i := range x.NumField() {
			if !sameValue(x.Field(i), y.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if x.Len() != y.Len() {
			return false
		}
		for i := range x.Len() {
			if !sameValue(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if x.Len() != y.Len() {
			return false
		}
		for _, k := range x.MapKeys() {
			if !sameValue(x.MapIndex(k), y.MapIndex(k)) {
				return false
			}
		}
		return true
	case reflect.Func, reflect.Chan:
		return x.Pointer() == y.Pointer()
	}
	return x.Equal(y)
}

// byMethod compares by a method Equal of the values, if they have one.
func byMethod(x, y reflect.Value) (equal, ok bool) {
	m := x.MethodByName("Equal")
	if !m.IsValid() || !x.CanInterface() || m.Type().NumIn() != 1 || m.Type().In(0) != x.Type() ||
		m.Type().NumOut() != 1 || m.Type().Out(0).Kind() != reflect.Bool || isNil(x) {
		return false, false
	}
	return m.Call([]reflect.Value{y})[0].Bool(), true
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil()
	}
	return false
}
