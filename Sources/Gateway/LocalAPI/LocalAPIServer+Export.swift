import HTTPTypes
import Hummingbird
import NIOCore
import Store

extension LocalAPIServer {
    /// Sends a text of any length as it is made: memory stays flat, and a client that reads slowly slows only its own export down.
    func stream(_ text: ExportedText) -> Response {
        let headers: HTTPFields = [
            .contentType: text.export.format == .csv ? "text/csv; charset=utf-8" : "application/jsonl", .cacheControl: "no-store",
        ]
        let body = ResponseBody { writer in
            // When it fails midway the connection is closed without the last chunk, which tells the client.
            try await text.run { try await writer.write(ByteBuffer(bytes: $0)) }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
